"""The echo service by each of the standard library's socketserver classes. Not here: anything that makes up for what they lack.

python3 echo_socketserver.py CLASS PLACE, where CLASS is one of those below and PLACE a port of 127.0.0.1 or a path.
"""

import socketserver
import sys


class Echo(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data)


class DatagramEcho(socketserver.BaseRequestHandler):
    def handle(self):
        data, socket = self.request
        socket.sendto(data, self.client_address)


def main():
    server = getattr(socketserver, sys.argv[1])
    place = sys.argv[2] if "Unix" in sys.argv[1] else ("127.0.0.1", int(sys.argv[2]))
    datagrams = issubclass(server, socketserver.UDPServer)
    with server(place, DatagramEcho if datagrams else Echo) as serving:
        serving.serve_forever()


main()
