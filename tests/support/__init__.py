"""What tests of several stages share: a real portal process, its people, and an RFB client."""
