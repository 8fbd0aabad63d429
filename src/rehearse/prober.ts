// The program that sends and answers in all namespaces: one process that changes its namespace for each socket. Its
// standard input has a line for each namespace, service and probe; it prints a line for each answer.
//
//     space INDEX PATH                       a namespace, `-` for the one that it is started in
//     listen INDEX tcp|udp ADDRESS PORT      a service there
//     probe ID INDEX tcp|udp|icmp ADDRESS PORT
//     chunk                                  what has been asked for since the last one is sent together
//     go MILLISECONDS FORGET                 sends; every probe waits so long; with FORGET 1 neighbours are forgotten
//     answer ID SEEN INDEX|- SOURCE|-        its answer: what the sender saw, who was reached, from which source
//
// Who is reached is seen at the place itself, by a raw socket behind its firewall: it knows a TCP probe by its source
// port, which is used once only, and a ping by its payload. Services answer UDP with what they have seen.

export const PYTHON: string = String.raw`
import collections, ctypes, errno, os, resource, select, socket, struct, sys, time

try:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
except (OSError, ValueError):
    pass

libc = ctypes.CDLL(None, use_errno=True)
here = None
homes = {}

def enter(space):
    global here
    if here != space:
        if libc.setns(homes[space], 0x40000000) != 0:
            raise OSError(ctypes.get_errno(), 'setns')
        here = space

poller = select.epoll()
handlers = {}
keep = []

def watch(sock, handler):
    sock.setblocking(False)
    handlers[sock.fileno()] = (sock, handler)
    poller.register(sock.fileno(), select.EPOLLIN)

# Only segments that open a connection: SYN without ACK.
def syn_filter(family):
    code = [(0xb1, 0, 0, 0), (0x50, 0, 0, 13)] if family == 4 else [(0x30, 0, 0, 13)]
    code += [(0x54, 0, 0, 0x12), (0x15, 0, 1, 0x02), (0x06, 0, 0, 0xffff), (0x06, 0, 0, 0)]
    text = b''.join(struct.pack('HBBI', *line) for line in code)
    buffer = ctypes.create_string_buffer(text)
    keep.append(buffer)
    return struct.pack('HxxxxxxP' if ctypes.sizeof(ctypes.c_void_p) == 8 else 'HxxP', len(code), ctypes.addressof(buffer))

filters = {4: syn_filter(4), 6: syn_filter(6)}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
pingers = {}
arrived = {}

def raw(space, family, protocol, handler):
    try:
        sock = socket.socket(FAMILY[family], socket.SOCK_RAW, protocol)
    except OSError:
        return None
    if protocol == 6:
        sock.setsockopt(socket.SOL_SOCKET, 26, filters[family])
    try:
        sock.setsockopt(socket.SOL_SOCKET, 33, 1 << 22)
    except OSError:
        pass
    watch(sock, lambda _: handler(space, family, sock))
    return sock

def open_space(space, path):
    homes[space] = os.open('/proc/self/ns/net' if path == '-' else path, os.O_RDONLY)
    enter(space)
    for family in (4, 6):
        raw(space, family, 6, on_syn)
        pingers[space, family] = raw(space, family, 1 if family == 4 else 58, on_icmp)

def drain(sock):
    for _ in range(256):
        try:
            yield sock.recvfrom(65535)
        except OSError:
            return

def on_syn(space, family, sock):
    for data, sender in drain(sock):
        if family == 4:
            data = data[(data[0] & 15) * 4:]
        if len(data) >= 14 and data[13] & 0x12 == 0x02:
            arrived['port', data[0] << 8 | data[1]] = (space, sender[0])

MARK = b'netplan '
KINDS = {4: (0, 8, 3), 6: (129, 128, 1)}
UNREACHABLE = {
    4: {0: 'no-route', 1: 'no-neighbour', 5: 'no-route', 6: 'no-route', 7: 'no-neighbour'},
    6: {0: 'no-route', 3: 'no-neighbour', 2: 'no-route'}
}

def on_icmp(space, family, sock):
    reply, request, unreachable = KINDS[family]
    for data, sender in drain(sock):
        if family == 4:
            data = data[(data[0] & 15) * 4:]
        if len(data) < 8:
            continue
        at = data.find(MARK, 8)
        if at < 0 or len(data) < at + 12:
            continue
        probe = struct.unpack('!I', data[at + 8:at + 12])[0]
        if data[0] == request:
            arrived['icmp', probe] = (space, sender[0])
        elif probe in pending and pending[probe][1] == space:
            if data[0] == reply:
                settle(probe, 'answered')
            elif data[0] == unreachable:
                settle(probe, UNREACHABLE[family].get(data[1], 'refused'))

def listen(space, protocol, address, port):
    enter(space)
    families = (4, 6) if address == '*' else (6,) if ':' in address else (4,)
    for family in families:
        try:
            sock = socket.socket(FAMILY[family], socket.SOCK_STREAM if protocol == 'tcp' else socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == 6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.bind((('0.0.0.0' if family == 4 else '::') if address == '*' else address, port))
            if protocol == 'tcp':
                sock.listen(4096)
        except OSError as error:
            if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                print('unable %d %s %s %d %s' % (space, protocol, address, port, error.strerror))
            continue
        watch(sock, (lambda sock: lambda _: accept(sock))(sock) if protocol == 'tcp' else (lambda sock: lambda _: echo(space, sock))(sock))

def accept(sock):
    for _ in range(256):
        try:
            sock.accept()[0].close()
        except OSError:
            return

def echo(space, sock):
    for data, sender in drain(sock):
        if data.startswith(MARK):
            try:
                sock.sendto(b'%s%d %s' % (MARK, space, sender[0].encode()), sender)
            except OSError:
                pass

SEEN = {
    errno.ECONNREFUSED: 'refused', errno.EHOSTUNREACH: 'no-neighbour', errno.ENETUNREACH: 'no-route',
    errno.EADDRNOTAVAIL: 'no-route', errno.EINVAL: 'no-route', errno.ETIMEDOUT: 'timeout', errno.EPERM: 'timeout',
    errno.ECONNRESET: 'refused'
}
pending = {}
queue = collections.deque()
answers = {}
used = set()
port_of = {}
next_port = 20000

def settle(probe, seen):
    entry = pending.pop(probe, None)
    if entry is not None:
        answers[probe] = seen
        if entry[2] is not None:
            handlers.pop(entry[2].fileno(), None)
            entry[2].close()

def source_port():
    global next_port
    while True:
        next_port = 20000 if next_port >= 60000 else next_port + 1
        if next_port not in used:
            return next_port

def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    total = (total >> 16) + (total & 0xffff)
    return ~(total + (total >> 16)) & 0xffff

def send(probe, space, protocol, address, port):
    enter(space)
    family = 6 if ':' in address else 4
    pending[probe] = (time.monotonic(), space, None)
    queue.append(probe)
    arrived.pop((protocol, probe), None)
    try:
        if protocol == 'icmp':
            payload = MARK + struct.pack('!I', probe) + b'\0\0\0\0'
            head = struct.pack('!BBHHH', KINDS[family][1], 0, 0, space & 0xffff, probe & 0xffff)
            if family == 4:
                head = head[:2] + struct.pack('!H', checksum(head + payload)) + head[4:]
            if pingers[space, family] is None:
                raise OSError(errno.ENETUNREACH, '')
            pingers[space, family].sendto(head + payload, (address, 0))
            return
        sock = socket.socket(FAMILY[family], socket.SOCK_STREAM if protocol == 'tcp' else socket.SOCK_DGRAM)
        sock.setblocking(False)
        pending[probe] = (pending[probe][0], space, sock)
        # Else TCP does not tell of every router that has no route.
        sock.setsockopt(*((0, 11, 1) if family == 4 else (41, 25, 1)))
        if protocol == 'tcp':
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            for _ in range(100):
                try:
                    own = source_port()
                    sock.bind(('0.0.0.0' if family == 4 else '::', own))
                    break
                except OSError as error:
                    if error.errno != errno.EADDRINUSE:
                        raise
            port_of[probe] = own
            arrived.pop(('port', own), None)
            handlers[sock.fileno()] = (sock, lambda events: connected(probe, sock))
            code = sock.connect_ex((address, port))
            if code not in (0, errno.EINPROGRESS):
                raise OSError(code, '')
            poller.register(sock.fileno(), select.EPOLLOUT | select.EPOLLERR)
        else:
            sock.connect((address, port))
            handlers[sock.fileno()] = (sock, lambda events: replied(probe, sock))
            sock.send(MARK)
            poller.register(sock.fileno(), select.EPOLLIN | select.EPOLLERR)
    except OSError as error:
        settle(probe, SEEN.get(error.errno, 'timeout'))

def connected(probe, sock):
    code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    settle(probe, 'answered' if code == 0 else SEEN.get(code, 'timeout'))

def replied(probe, sock):
    try:
        data = sock.recv(2048)
    except OSError as error:
        if error.errno != errno.EAGAIN:
            settle(probe, SEEN.get(error.errno, 'timeout'))
        return
    if data.startswith(MARK):
        space, source = data[len(MARK):].decode().split(' ')
        arrived['udp', probe] = (int(space), source)
        settle(probe, 'answered')

def poll(seconds):
    events = poller.poll(seconds, 512)
    for descriptor, event in events:
        entry = handlers.get(descriptor)
        if entry is not None:
            entry[1](event)
    return len(events)

def neighbours(space):
    """The entries of a namespace's neighbour tables are taken out, but for those that are still asked for."""
    enter(space)
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    try:
        sock.send(struct.pack('=IHHIIBxxxIHBB', 28, 30, 0x301, 1, 0, 0, 0, 0, 0, 0))
        out = []
        done = False
        while not done:
            data = sock.recv(1 << 17)
            while len(data) >= 16:
                length, kind = struct.unpack('=IH', data[:6])
                if kind == 3 or kind == 2 or length < 16:
                    done = True
                    break
                body, data = data[16:length], data[(length + 3) & ~3:]
                family, index, state = struct.unpack('=BxxxiH', body[:10])
                if kind != 28 or family not in (socket.AF_INET, socket.AF_INET6) or state & 0xc1:
                    continue
                at = 12
                while at + 4 <= len(body):
                    size, name = struct.unpack('=HH', body[at:at + 4])
                    if size < 4:
                        break
                    if name == 1:
                        attribute = body[at:at + size] + b'\0' * (-size % 4)
                        out.append(struct.pack('=IHHII', 28 + len(attribute), 29, 1, 1, 0) + struct.pack('=BxxxiHBB', family, index, 0, 0, 0) + attribute)
                    at += (size + 3) & ~3
        for i in range(0, len(out), 200):
            sock.send(b''.join(out[i:i + 200]))
    except OSError:
        pass
    finally:
        sock.close()

# What has had its time is over; an open connection would be tried again, in the midst of other probes.
def expire(wait):
    while queue:
        entry = pending.get(queue[0])
        if entry is not None:
            left = entry[0] + wait - time.monotonic()
            if left > 0:
                return left
            settle(queue[0], 'timeout')
        queue.popleft()
    return 0

# A link whose carrier the kernel has not got round to: what is sent there is lost.
def is_settled(space):
    enter(space)
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)
    try:
        sock.send(struct.pack('=IHHIIBxHiII', 32, 18, 0x301, 1, 0, 0, 0, 0, 0, 0))
        while True:
            data = sock.recv(1 << 17)
            while len(data) >= 16:
                length, kind = struct.unpack('=IH', data[:6])
                if kind in (2, 3) or length < 16:
                    return True
                body, data = data[16:length], data[(length + 3) & ~3:]
                found = {}
                at = 16
                while at + 4 <= len(body):
                    size, name = struct.unpack('=HH', body[at:at + 4])
                    if size < 4:
                        break
                    if size == 5:
                        found[name] = body[at + 4]
                    at += (size + 3) & ~3
                if found.get(33) == 1 and found.get(16) in (2, 3) and struct.unpack('=I', body[8:12])[0] & 1:
                    return False
    except OSError:
        return True
    finally:
        sock.close()

def settle_links():
    limit = time.monotonic() + 1
    for space in homes:
        while not is_settled(space) and time.monotonic() < limit:
            time.sleep(0.005)

def run(chunks, wait, forget):
    for chunk in chunks:
        for count, probe in enumerate(sorted(chunk, key=lambda probe: probe[1])):
            send(*probe)
            if count % 32 == 31:
                poll(0)
                expire(wait)
        own = [probe[0] for probe in chunk]
        quiet = time.monotonic() + 0.02
        while any(probe in pending for probe in own):
            left = quiet - time.monotonic()
            if left <= 0:
                break
            if poll(left) > 0:
                quiet = time.monotonic() + 0.02
        if forget:
            for space in homes:
                neighbours(space)
    while pending:
        poll(expire(wait))
    poll(0)
    for chunk in chunks:
        for probe, space, protocol, address, port in chunk:
            seen = answers.pop(probe, 'timeout')
            by, source = arrived.get(('port', port_of.get(probe)) if protocol == 'tcp' else (protocol, probe), ('-', '-'))
            print('answer %d %s %s %s' % (probe, seen, by, source))
    print('done')
    sys.stdout.flush()

chunks = [[]]
fresh = True
for line in sys.stdin:
    words = line.split()
    if words[0] == 'space':
        open_space(int(words[1]), words[2])
    elif words[0] == 'listen':
        used.add(int(words[4]))
        listen(int(words[1]), words[2], words[3], int(words[4]))
    elif words[0] == 'probe':
        chunks[-1].append((int(words[1]), int(words[2]), words[3], words[4], int(words[5])))
    elif words[0] == 'chunk':
        chunks.append([])
    elif words[0] == 'go':
        if fresh:
            settle_links()
            fresh = False
        run([chunk for chunk in chunks if chunk], int(words[1]) / 1000, words[2] == '1')
        chunks = [[]]
`
