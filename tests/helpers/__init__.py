"""What tests are made with: clips, images, pictures, references."""
