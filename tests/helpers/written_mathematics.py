"""Plain text with mathematics in it, as HTML and as LaTeX."""

WRITTEN = {
    "λ_max, λ_10 and Θ_ij, Θ̄, Θ_0": (
        "λ<sub>max</sub>, λ<sub>10</sub> and Θ<sub>ij</sub>, Θ̄, Θ<sub>0</sub>",
        r"$\lambda_{\max}$, $\lambda_{10}$ and $\Theta_{ij}$, $\bar{\Theta}$, $\Theta_{0}$",
    ),
    "3.9e-10 or 1e+20": (
        "3.9 × 10<sup>−10</sup> or 10<sup>20</sup>",
        r"$3.9 \times 10^{-10}$ or $10^{20}$",
    ),
    "-0.5 [-0.7, +0.1], y - x": ("−0.5 [−0.7, +0.1], y − x", "$-$0.5 [$-$0.7, +0.1], y $-$ x"),
    "(1 - η)^k": ("(1 − η)<sup>k</sup>", r"(1 $-$ $\eta$)$^{k}$"),
    "relu-800x3, 2024-07-01, 9fe12, abc1e-dirty, --act": (
        "relu-800x3, 2024-07-01, 9fe12, abc1e-dirty, --act",
    )
    * 2,
    "r₀ᵀΘ⁻¹r₀ → σ_w²": (
        "r₀ᵀΘ⁻¹r₀ → σ<sub>w</sub>²",
        r"r$_{0}$$^{\mathsf{T}}$$\Theta$$^{-1}$r$_{0}$ $\to$ $\sigma_{w}$$^{2}$",
    ),
    "50 % of _a_ & {b}": ("50 % of _a_ &amp; {b}", r"50 \% of \_a\_ \& \{b\}"),
}
