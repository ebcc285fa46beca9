"""The paper's Table III and figures 3 to 7: as published, and put right.

The paper: A. Gabriel, R. Oulhaj and L. Dupont, *Explorative Implementation of Open-Source Peer-to-Peer Energy
Trading Approaches* (ICE/ITMC 2021); its programs and data: github.com/LF2L/P2PEnergySharing.
"""
