"""How a face is drawn: who it is, its shape, skin, hair, clothes and light."""
