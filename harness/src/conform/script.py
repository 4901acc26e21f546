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


def connect(patience=10.0):
    end = time.monotonic() + patience
    while True:
        try:
            return socket.create_connection((HOST.strip("[]"), port), timeout=10)
        except OSError:
            if server is None or server.poll() is not None or time.monotonic() > end:
                raise
            time.sleep(0.01)


def step(what, n, *rest):
    if what == "connect":
        peers[n] = connect()
    elif what in ("stop", "continue"):
        if server is not None:
            for pid in tree(server.pid):
                os.kill(pid, signal.SIGSTOP if what == "stop" else signal.SIGCONT)
    elif n not in peers:
        return
    elif what == "send":
        data, count = rest
        if len(data) < count:
            print(f"note: #{n} sent {count} bytes, of which {len(data)} are known; the rest is filled up")
            data += b"x" * (count - len(data))
        peers[n].settimeout(2)
        peers[n].sendall(data)
    elif what == "receive":
        left = rest[0]
        peers[n].settimeout(2)
        while left > 0:
            data = peers[n].recv(min(left, 65536))
            if not data:
                print(f"#{n}: the server closed, {left} bytes early")
                break
            left -= len(data)
    elif what == "end":
        peers[n].settimeout(2)
        print(f"#{n}: {'the server closed' if not peers[n].recv(1) else 'the server did not close, it sent more'}")
    elif what == "finish":
        peers[n].shutdown(socket.SHUT_WR)
    elif what == "close":
        peers.pop(n).close()
    elif what == "reset":
        peer = peers.pop(n)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()


server, port, peers, bug = None, PORT, {}, None
if COMMAND is not None:
    port = PORT or free_port()
    for path, text in FILES.items():
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text.replace("{port}", str(port)))
    server = subprocess.Popen([word.replace("{port}", str(port)) for word in COMMAND], start_new_session=True)
try:
    connect().close()
    for each in STEPS:
        if each[0] == "pause":
            time.sleep(each[1])
            continue
        try:
            step(*each)
        except OSError as error:
            print(f"#{each[1]} {each[0]}: {error}")
    for peer in peers.values():
        peer.close()
    time.sleep(0.2)
    if server is not None and server.poll() is not None:
        code = server.returncode
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
        bug = f"the server {how}"
    else:
        try:
            connect(2.0).close()
        except OSError as error:
            bug = f"a fresh connection: {error}"
finally:
    if server is not None and server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()
print(bug or "the server lives and accepts", "| the harness saw:", SEEN)
sys.exit(1 if bug else 0)
