"""`ece bench report`: a load profile against a real engine, sampled, checked by the log, and shown on a page."""
