"""Sockets and what surrounds them: WebSocket, REST, back-off. Knows no venue."""
