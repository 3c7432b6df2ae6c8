// Node's own clients: `node clients.mjs HOST:PORT` runs every scenario, one after the other, and prints a JSON object in
// a line for each: its name, its result, and its error or null.
import assert from "node:assert/strict";
import http from "node:http";
import { once } from "node:events";

const [address] = process.argv.slice(2);
const httpUrl = `http://${address}`;
const wsUrl = `ws://${address}`;

// A WebSocket whose events are waited for one by one.
class Client {
  constructor(path, options) {
    this.ws = new WebSocket(wsUrl + path, options);
    this.ws.binaryType = "arraybuffer";
    this.events = [];
    this.waiting = null;
    for (const type of ["open", "message", "close", "error"]) {
      this.ws.addEventListener(type, (event) => {
        this.events.push(event);
        this.waiting?.();
      });
    }
  }

  async next(type) {
    while (this.events.length === 0) {
      await new Promise((resolve) => { this.waiting = resolve; });
    }
    const event = this.events.shift();
    assert.equal(event.type, type);
    return event;
  }

  async message() {
    return (await this.next("message")).data;
  }

  async close(code, reason) {
    this.ws.close(code, reason);
    return this.next("close");
  }
}

async function connect(path, options) {
  const client = new Client(path, options);
  await client.next("open");
  return client;
}

function bytes(size) {
  return Uint8Array.from({ length: size }, (_, index) => index % 256);
}

// The endings of a request made with node:http: a response or an upgrade.
function ask(path, options = {}, body = undefined) {
  return new Promise((resolve, reject) => {
    const request = http.request(httpUrl + path, options);
    request.on("error", reject);
    request.on("upgrade", (response, socket, head) => resolve({ response, socket, head }));
    request.on("response", async (response) => {
      const pieces = [];
      for await (const piece of response) pieces.push(piece);
      resolve({ response, body: Buffer.concat(pieces).toString() });
    });
    request.end(body);
  });
}

const scenarios = {
  async websocket_messages() {
    const client = await connect("/echo");
    for (const text of ["hello", "Grüße, 世界 🎈", "", "x".repeat(126), "x".repeat(65536), "ä".repeat(2 ** 19)]) {
      client.ws.send(text);
      assert.equal(await client.message(), text);
    }
    for (const size of [0, 1, 125, 126, 65535, 65536, 2 ** 20]) {
      const sent = bytes(size);
      client.ws.send(sent);
      assert.deepEqual(new Uint8Array(await client.message()), sent);
    }
    const end = await client.close(1000);
    assert.deepEqual([end.code, end.reason, end.wasClean], [1000, "", true]);
  },

  async websocket_messages_in_a_row() {
    const client = await connect("/echo");
    for (let number = 0; number < 500; number++) client.ws.send(`number ${number}`);
    for (let number = 0; number < 500; number++) assert.equal(await client.message(), `number ${number}`);
    await client.close(1000);
  },

  async websocket_close_by_the_client() {
    const key = `node-${process.pid}-${Date.now()}`;
    const client = await connect(`/tell-ending/${key}`);
    const end = await client.close(4321, "grüß dich");
    assert.equal(end.code, 4321);
    return (await fetch(`${httpUrl}/endings/${key}`)).json();
  },

  async websocket_close_by_the_server() {
    const client = await connect("/close?code=4999&reason=t%C3%BCdel%C3%BC");
    const end = await client.next("close");
    assert.deepEqual([end.code, end.reason, end.wasClean], [4999, "tüdelü", true]);
  },

  async websocket_subprotocol() {
    const client = await connect("/chat", { protocols: ["chat.v1", "chat.v2"] });
    assert.equal(client.ws.protocol, "chat.v2");
    assert.equal(await client.message(), "offered chat.v1, chat.v2");
    assert.equal((await client.next("close")).code, 1000);
  },

  async websocket_refused() {
    const client = new Client("/secret");
    await client.next("error");
    // What the class hides, node:http shows.
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const { response, body } = await ask("/secret", { headers });
    assert.equal(response.statusCode, 401);
    assert.equal(response.headers["www-authenticate"], 'Basic realm="secret"');
    assert.equal(body, "Who are you?\n");
  },

  async websocket_with_credentials() {
    const credentials = Buffer.from("ada:lovelace").toString("base64");
    const client = await connect("/secret", { headers: { Authorization: `Basic ${credentials}` } });
    assert.equal(await client.message(), "hello ada");
    assert.equal((await client.next("close")).code, 1000);
  },

  async websocket_fifty_clients() {
    await Promise.all(Array.from({ length: 50 }, async (_, number) => {
      const client = await connect("/echo");
      for (let count = 0; count < 20; count++) {
        client.ws.send(`client ${number}, message ${count}`);
        assert.equal(await client.message(), `client ${number}, message ${count}`);
      }
      assert.equal((await client.close(1000)).code, 1000);
    }));
  },

  async websocket_two_clients_talk() {
    const path = `/rooms/node-${process.pid}-${Date.now()}`;
    const ada = await connect(path);
    const grace = await connect(path);
    for (const client of [ada, grace]) assert.equal(await client.message(), "welcome");
    for (const [speaker, text] of [[ada, "Good morning!"], [grace, "Hello, Ada."]]) {
      speaker.ws.send(text);
      for (const client of [ada, grace]) assert.equal(await client.message(), text);
    }
    for (const client of [ada, grace]) await client.close(1000);
  },

  async upgrade_with_a_frame_behind_it() {
    const headers = {
      Connection: "Upgrade",
      Upgrade: "websocket",
      "Sec-WebSocket-Version": "13",
      "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    };
    const { response, socket, head } = await ask("/greeting", { headers });
    assert.equal(response.statusCode, 101);
    assert.equal(response.headers["sec-websocket-accept"], "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    let received = head;
    while (received.length < 11) received = Buffer.concat([received, (await once(socket, "data"))[0]]);
    assert.equal(received.toString("latin1"), "\x81\x05hello\x88\x02\x03\xe8");
    socket.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]));
    await once(socket, "close");
  },

  async fetch_get_and_post() {
    const index = await fetch(`${httpUrl}/`);
    assert.deepEqual([index.status, await index.text()], [200, "hello\n"]);
    const head = await fetch(`${httpUrl}/`, { method: "HEAD" });
    assert.deepEqual([head.headers.get("content-length"), await head.text()], ["6", ""]);
    const posted = await (await fetch(`${httpUrl}/upload`, { method: "POST", body: bytes(2 ** 20) })).json();
    assert.deepEqual([posted.size, posted.length], [2 ** 20, String(2 ** 20)]);
    const form = new FormData();
    form.set("name", "Ada Lovelace");
    form.set("notes", new Blob([bytes(1000)]), "notes.bin");
    const answer = await (await fetch(`${httpUrl}/form`, { method: "POST", body: form })).json();
    assert.deepEqual(answer, { fields: { name: "Ada Lovelace" }, files: { notes: ["notes.bin", 1000] } });
  },

  async fetch_streams_both_ways() {
    const body = new ReadableStream({
      start(controller) {
        for (let number = 0; number < 100; number++) controller.enqueue(bytes(5000));
        controller.close();
      },
    });
    const posted = await (await fetch(`${httpUrl}/upload`, { method: "POST", body, duplex: "half" })).json();
    assert.deepEqual([posted.size, posted.length], [500000, null]);
    const lines = (await (await fetch(`${httpUrl}/stream`)).text()).trim().split("\n");
    assert.deepEqual([lines.length, lines.at(-1)], [1000, "999"]);
  },

  async http_agent_keeps_the_connection() {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const ports = new Set();
    for (const path of ["/", "/version", "/stream", "/nowhere"]) {
      const { response } = await ask(path, { agent });
      ports.add(response.socket?.localPort ?? response.req.socket.localPort);
    }
    assert.equal(ports.size, 1);
    agent.destroy();
  },

  async http_waits_for_100_continue() {
    const body = bytes(500000);
    const request = http.request(`${httpUrl}/upload`, {
      method: "POST",
      headers: { Expect: "100-continue", "Content-Length": body.length },
    });
    const answered = once(request, "response");
    request.flushHeaders();
    await once(request, "continue");
    request.end(body);
    const [response] = await answered;
    const pieces = [];
    for await (const piece of response) pieces.push(piece);
    assert.equal(JSON.parse(Buffer.concat(pieces)).size, body.length);
  },

  async http_fifty_requests_at_once() {
    const answers = await Promise.all(Array.from({ length: 50 }, (_, number) => ask(`/?number=${number}`)));
    assert.ok(answers.every(({ response, body }) => response.statusCode === 200 && body === "hello\n"));
  },
};

for (const [name, scenario] of Object.entries(scenarios)) {
  let result = null;
  let error = null;
  try {
    result = (await scenario()) ?? null;
  } catch (caught) {
    error = caught?.stack ?? String(caught);
  }
  console.log(JSON.stringify({ name, result, error }));
}
