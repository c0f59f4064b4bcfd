print("spinectl")
