"""What joins Pantau's services: subjects, messages, the bus, settings, lifecycle, logging, metrics and health."""
