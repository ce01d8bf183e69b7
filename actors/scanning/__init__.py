"""Cards in photographs: finds a card's outline, straightens it, and computes fingerprints of pictures."""
