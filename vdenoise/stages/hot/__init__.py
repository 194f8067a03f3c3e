"""The slot ``hot``: defects of a sensor."""
