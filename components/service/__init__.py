"""The service: pictures come over HTTP and go back blurred; nothing of them is kept."""
