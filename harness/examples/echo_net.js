// The echo service on Node's net, as its documentation shows it. Not here: options that it does not show.
//
// node echo_net.js PORT
const net = require("node:net");

const server = net.createServer((socket) => {
  socket.on("error", () => {});
  socket.pipe(socket);
});
server.listen(Number(process.argv[2]), "127.0.0.1");
