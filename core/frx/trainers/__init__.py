"""Ways of turning a batch into optimiser steps."""
