"""From published pictures to labels: samples, desks, exports, imports."""
