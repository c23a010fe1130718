"""Area, power and price of real chips, predicted from what is published of their insides."""
