// SPDX-License-Identifier: ISC
// What all parts of a pane know.

import { createContext, useContext } from 'react';

export const Desk = createContext(null);

/** { pane, me, api, market, route, go, hashOf, say, fail } */
export const usePane = () => useContext(Desk);
