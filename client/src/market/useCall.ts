// SPDX-License-Identifier: ISC

import { useEffect, useMemo, useSyncExternalStore } from 'react';
import { Call, type CallInfo, type CallOptions } from './call.js';
import { usePush } from '../react/provider.js';
import { useRoom } from '../react/useRoom.js';
import { doorOf } from './door.js';

export interface CallActions {
  /** Calls the other party. */
  start: (video?: boolean) => void;
  accept: (video?: boolean) => void;
  decline: () => void;
  hangUp: () => void;
  setMic: (on: boolean) => void;
  setCamera: (on: boolean) => Promise<void>;
}

export type UseCall = CallInfo & CallActions;

/** Call and be called by the other party of an order. */
export function useCall(options: CallOptions): UseCall {
  const client = usePush();
  const { orderId, me, peer } = options;
  const call = useMemo(
    () => new Call(client, options),
    // The servers are those of the first render.
    [client, orderId, me, peer],
  );
  useRoom(`order:${orderId}`, {}, { join: doorOf('order', orderId) });
  useEffect(() => call.attach(), [call]);
  const info = useSyncExternalStore(call.subscribe, call.info, call.info);
  return useMemo(() => {
    const { start, accept, decline, hangUp, setMic, setCamera } = call;
    return { ...info, start, accept, decline, hangUp, setMic, setCamera };
  }, [call, info]);
}
