# Does the steps above against a server that it starts, and says what became of it.
def free_port():
    with socket.socket() as s:
        s.bind((HOST.strip("[]"), 0))
        return s.getsockname()[1]


def tree(pid):
    """The process and its descendants."""
    found = [pid]
    for parent in found:
        try:
            with open(f"/proc/{parent}/task/{parent}/children") as children:
                found += map(int, children.read().split())
        except OSError:
            pass
    return found


def left():
    """What the server has: its open descriptors, its zombies, and connections that their clients have left (CLOSE_WAIT)."""
    descriptors = zombies = waiting = 0
    for pid in tree(server.pid) if server is not None else []:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                zombies += stat.read().rsplit(")", 1)[1].split()[0] == "Z"
            descriptors += len(os.listdir(f"/proc/{pid}/fd"))
        except OSError:
            pass
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/net/{table}") as rows:
                rows = [row.split() for row in list(rows)[1:]]
        except OSError:
            rows = []
        waiting += sum(row[3] == "08" and row[1].endswith(f":{port:04X}") for row in rows)
    return descriptors, zombies, waiting


def behind(before, connections):
    """What has stayed behind of the connections, and whether it is too much; a server gets two seconds to let go."""
    end = time.monotonic() + 2
    while True:
        now = left()
        more = [b - a for a, b in zip(before, now)]
        # A few descriptors may be what it keeps for itself.
        bug = more[0] >= max(2, connections / 8) or more[1] > 0 or more[2] > 0
        if not bug or time.monotonic() > end:
            break
        time.sleep(0.05)
    words = ", ".join(f"{b} {name}" for name, b in zip(("descriptors", "zombies", "in CLOSE_WAIT"), now))
    text = f"it has {words}; before: {before[0]}, {before[1]}, {before[2]}"
    print(text)
    return text if bug else None


def connect(patience=10.0):
    end = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection((HOST.strip("[]"), port), timeout=10)
        except OSError:
            if server is None or server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.01)


class Peer:
    """A connection, and what was sent on it that has not come back yet."""

    def __init__(self, n):
        self.n, self.socket, self.out = n, connect(), bytearray()
        self.sent, self.received, self.ended, self.awaited = 0, 0, False, False

    def send(self, data, count):
        if len(data) < count:
            print(f"note: #{self.n} sent {count} bytes, of which {len(data)} are known; the rest is filled up")
            data += random.Random(self.n).randbytes(count - len(data)) if KIND == "echo" else b"x" * (count - len(data))
        self.socket.settimeout(2)
        while data:
            done = self.socket.send(data)
            self.out += data[:done]
            self.sent += done
            data = data[done:]

    def receive(self, most):
        self.socket.settimeout(2)
        data = self.socket.recv(min(most, 65536))
        self.ended = not data
        if KIND == "echo" and data != self.out[: len(data)]:
            bugs.append(f"#{self.n}: not what was sent came back, from byte {self.received} on")
        del self.out[: len(data)]
        self.received += len(data)
        return data

    def drain(self):
        """Reads until the server closes, or sends nothing for two seconds."""
        try:
            while self.receive(65536):
                pass
        except socket.timeout:
            pass

    def over(self):
        """Says what has become of it, where not all is well."""
        if KIND == "echo" and self.out:
            text = f"#{self.n}: of {self.sent} bytes {self.received} came back"
            print(text + (", then the server closed" if self.ended else " before the client left"))
            if self.ended or self.awaited:
                bugs.append(text)
        self.socket.close()


def squeeze():
    """Lowers the descriptor limit of each process to what it has open."""
    for pid in tree(server.pid):
        limits[pid] = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        used = set(map(int, os.listdir(f"/proc/{pid}/fd")))
        free = next(fd for fd in range(len(used) + 1) if fd not in used)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (free, limits[pid][1]))


def release():
    while limits:
        pid, limit = limits.popitem()
        try:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        except OSError:
            pass


def used():
    """Processor time of the server, in seconds."""
    ticks = 0
    for pid in tree(server.pid) if server is not None else []:
        try:
            with open(f"/proc/{pid}/stat") as stat:
                ticks += sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13]))
        except OSError:
            pass
    return ticks / os.sysconf("SC_CLK_TCK")


def pause(seconds):
    begun, before = time.monotonic(), used()
    time.sleep(seconds)
    share = (used() - before) / (time.monotonic() - begun)
    if seconds >= 0.15 and share > 0.6:
        busy.append(share)


def step(what, n, *rest):
    if what == "connect":
        peers[n] = Peer(n)
    elif what in ("stop", "continue", "squeeze", "release"):
        if server is None:
            print(f"note: {what} needs the server's process")
        elif what in ("squeeze", "release"):
            squeeze() if what == "squeeze" else release()
        else:
            for pid in tree(server.pid):
                os.kill(pid, signal.SIGSTOP if what == "stop" else signal.SIGCONT)
    elif n not in peers:
        return
    elif what == "send":
        peers[n].send(*rest)
    elif what == "receive":
        wanted = peers[n].received + rest[0]
        while peers[n].received < wanted:
            if not peers[n].receive(wanted - peers[n].received):
                print(f"#{n}: the server closed, {wanted - peers[n].received} bytes early")
                break
    elif what == "await":
        peers[n].awaited = True
        peers[n].drain()
    elif what == "end":
        peers[n].drain()
        print(f"#{n}: {'the server closed' if peers[n].ended else 'the server did not close'}")
    elif what == "finish":
        peers[n].socket.shutdown(socket.SHUT_WR)
    elif what in ("close", "reset"):
        peer = peers.pop(n)
        if what == "reset":
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.over()


server, port, peers, limits, busy, bugs = None, PORT, {}, {}, [], []
if COMMAND is not None:
    port = PORT or free_port()
    for path, text in FILES.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text.replace("{port}", str(port)))
    server = subprocess.Popen([word.replace("{port}", str(port)) for word in COMMAND], start_new_session=True)
try:
    connect().close()
    time.sleep(0.2)
    before = left()
    for each in STEPS:
        if each[0] == "pause":
            pause(each[1])
            continue
        try:
            step(*each)
        except OSError as error:
            print(f"#{each[1]} {each[0]}: {error}")
    for peer in peers.values():
        peer.over()
    release()
    time.sleep(0.2)
    if busy:
        bugs.append(f"the server was busy {max(busy):.0%} of the time while nothing happened")
    if server is not None and server.poll() is not None:
        code = server.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        bugs.append(f"the server {how}")
    else:
        try:
            connect(2.0).close()
        except OSError as error:
            bugs.append(f"a fresh connection: {error}")
        stays = behind(before, sum(each[0] == "connect" for each in STEPS))
        bugs += [stays] if stays else []
finally:
    if server is not None and server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
print("; ".join(bugs[:3]) or "nothing is seen from here: the server lives and accepts", "| the harness saw:", SEEN)
sys.exit(1 if bugs else 0)
