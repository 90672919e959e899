"""Pages and plots: one HTML kit for every page that the product draws."""
