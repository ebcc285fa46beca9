"""Models behind generated series: skies and consumption; heavy libraries load when a model runs."""
