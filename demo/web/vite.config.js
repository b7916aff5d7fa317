// SPDX-License-Identifier: ISC
// The package is built from its sources, as if it were installed: so the demo
// needs no second npm ci, and shows what is in the tree.

import { fileURLToPath } from 'node:url';

const at = (path) => fileURLToPath(new URL(path, import.meta.url));

export default {
  root: at('.'),
  esbuild: { jsx: 'automatic' },
  resolve: {
    alias: [
      { find: /^pgpush$/, replacement: at('../../client/src/index.ts') },
      {
        find: /^pgpush\/react$/,
        replacement: at('../../client/src/react/index.ts'),
      },
      {
        find: /^pgpush\/market$/,
        replacement: at('../../client/src/market/index.ts'),
      },
      {
        find: /^pgpush\/market\/style\.css$/,
        replacement: at('../../client/src/market/style.css'),
      },
    ],
    // The package's own node_modules may have another React, or none.
    dedupe: ['react', 'react-dom'],
  },
  build: { outDir: at('../dist'), emptyOutDir: true },
};
