"""From a venue's text to numbers, times, and the reason why a frame was refused."""
