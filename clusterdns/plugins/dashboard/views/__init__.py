"""The HTML of the dashboard: `markup` escapes, `figures` writes numbers, `layout` frames pages; the rest are pages."""
