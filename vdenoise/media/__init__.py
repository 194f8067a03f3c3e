"""Media in and out. The only place that imports PyAV."""
