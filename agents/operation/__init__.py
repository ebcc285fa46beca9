"""What a prosumer does about slots: meters asked, energy delivered and corrected, the battery steered."""
