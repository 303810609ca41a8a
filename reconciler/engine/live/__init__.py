"""A live app's pass: plan, preflight, prepare, reconcile, report."""
