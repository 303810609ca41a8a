"""The one place that orders effects: observe, decide (in `core`), act through `ports`, record."""

from reconciler import logs

logs.import_lightly()
