"""Hand-written stand-ins for what lies outside, with failure switches; state outlives a simulated crash."""
