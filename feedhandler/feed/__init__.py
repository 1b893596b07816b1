"""One venue's feed: session, publisher and the process around them."""
