"""What people see: one page = one module here, one template, and rarely a script of its own.

Handlers talk to the core as the JSON handlers do; nothing calls ourselves over HTTP. A page comes whole to a browser
that navigates, and as its changing part to htmx, from the same address.
"""
