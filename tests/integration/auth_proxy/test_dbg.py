from tests.integration.auth_proxy.test_relay import *
import pytest
@pytest.mark.parametrize("body",[b"zz\r\nabc\r\n", b"3\r\nabcXX", b"ffffffffffffffffff\r\nabc", b"3;"+b"x"*70000+b"\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\nBad trailer\r\n\r\n", b"3\nabc\n0\n\n", b"3\r\nabc\r\n0\r\n"+b"X: y\r\n"*100000+b"\r\n"])
async def test_x(sidecar, body):
    for method in ("granted","refused"):
        h = request_bytes(sidecar, "/x", "Transfer-Encoding: chunked", method="POST")
        if method=="refused": h = h.replace(b"Origin: https://admin.example.com", b"Origin: null")
        import asyncio
        reader, writer = await asyncio.open_connection("127.0.0.1", sidecar.port)
        writer.write(h); await asyncio.sleep(0.05); writer.write(body)
        got=b""
        try:
            async with asyncio.timeout(3): 
                while c:=await reader.read(65536): got+=c
        except Exception as e: got+=repr(e).encode()
        print("ANS", body[:20], method, got[:60], got[-120:])
        print("UP", [ (r.line, r.body) for r in sidecar.upstream.received])
