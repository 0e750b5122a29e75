"""The messages between services: subjects, frames, events, models, errors. Pure: no bus, no clock, no disk."""
