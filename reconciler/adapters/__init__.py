"""One outside thing per module, its errors translated to ours. Effects live here and are ordered by `engine`."""
