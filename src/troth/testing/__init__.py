"""What troth is tested with, shipped so that users and authors of adapters can test with it too."""
