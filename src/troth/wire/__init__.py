"""What crosses a process line: values by their annotations, functions by their signatures."""
