import { describe, expect, it } from "vitest";

import { openRequestFromText, requestFor } from "./request_id";

describe("the request id", () => {
  it("is the same for the same brief, so that a retry makes no second take", () => {
    const first = requestFor('{"seed":1}', undefined);
    expect(requestFor('{"seed":1}', first)).toBe(first);
  });

  it("is another one for another brief, and for the next take", () => {
    const first = requestFor('{"seed":1}', undefined);
    expect(requestFor('{"seed":2}', first).requestId).not.toBe(first.requestId);
    expect(requestFor('{"seed":1}', undefined).requestId).not.toBe(first.requestId);
  });

  it("is one that the service takes", () => {
    expect(requestFor("{}", undefined).requestId).toMatch(/^[\x21-\x7e]{1,128}$/);
  });

  it("survives a reload", () => {
    const request = requestFor("{}", undefined);
    expect(openRequestFromText(JSON.stringify(request))).toEqual(request);
    expect(openRequestFromText("")).toBeUndefined();
    expect(openRequestFromText('{"requestId":1,"briefJson":"{}"}')).toBeUndefined();
  });
});
