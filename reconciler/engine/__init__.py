"""The one place that orders effects: observe, decide (in `core`), act through `ports`, record."""
