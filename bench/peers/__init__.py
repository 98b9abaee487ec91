"""What Madang is compared with: the same engines without it, started the plain way."""
