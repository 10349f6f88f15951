"""The protocol messages of TensorFlow Serving, as far as the kit reads and writes them."""
