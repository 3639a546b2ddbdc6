"""What theory says of training: times, predicted losses and bounds.

It imports nothing of ours and no torch: the analysis package uses it on stored rows.
All formulas are for the loss (1/N) Σ (y - f)².
"""
