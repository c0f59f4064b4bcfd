"""What operators ask of a member, as far as it is answered the same by any server."""


class Status:
    name = "status"
    runs = ("Status", "MemberList")
    weights = {"Status": 1, "MemberList": 1}

    def draw(self, space, name):
        return name, {"linearizable": space.enum(1)} if name == "MemberList" else {}

    def begin(self, session, name, fields):
        return session.unary(name, fields)
