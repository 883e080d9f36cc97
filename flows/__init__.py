"""When things happen, and in which order: flows, schedules, and the command line. How is known in `components`."""
