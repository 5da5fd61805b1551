"""A generative model of a network's activations, after Wang et al. 2016.

Of the paper (arXiv:1611.02767) only the abstract and the first paragraph could
be read: a hierarchical generative model of the activations of a CNN, inference
in it as a backward pass that fuses top-down with bottom-up information, and
three queries; its factors, its learning and every number here are a
reconstruction.

    network    the classifier, and its activations
    pooling    windows, switches
    share      how much of a receptive field is observed
    states     ReLU states and switches as latent variables
    render     from a layer to the one below: tied, fitted, spike and slab
    prior      of the top layer, given the class
    fit        all that is fitted to the activations of clean digits
    backward   one pass from the top to the pixels, and its iteration
    queries    overlap, ambiguity, occlusion, detection
    baselines  other ways back through a CNN
"""
