print("spined")
