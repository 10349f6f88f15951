"""Text to ids: WordPiece on the `tokenizers` library, and the same mapping as TensorFlow ops."""
