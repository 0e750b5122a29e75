"""What the services say to each other: subjects, frames, events, models, errors. Pure: no bus, no clock, no disk."""
