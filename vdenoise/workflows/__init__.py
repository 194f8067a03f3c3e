"""What commands, batches and farms do with a clip: measure it, denoise it, keep its recipe."""
