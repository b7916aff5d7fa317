// SPDX-License-Identifier: ISC

import type { ReactNode } from 'react';

const PATHS = {
  bell: 'M6 9a6 6 0 0 1 12 0c0 6 2 7 2 7H4s2-1 2-7zM10 20h4',
  camera: 'M3 7h11a1 1 0 0 1 1 1v8a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1zM15 11l6-4v10l-6-4',
  cameraOff: 'M15 15v1a1 1 0 0 1-1 1H3a1 1 0 0 1-1-1V8a1 1 0 0 1 1-1h1M9 7h5a1 1 0 0 1 1 1v3l6-4v10l-2-1.300M3 3l18 18',
  check: 'M5 13l5 5L19 7',
  checks: 'M2 13l4 4 8-9M11 16l1 1 9-10',
  clip: 'M20 11l-8 8a5 5 0 0 1-7-7l8-8a3 3 0 0 1 5 5l-8 8a1 1 0 0 1-2-2l7-7',
  clock: 'M12 4a8 8 0 1 1 0 16a8 8 0 0 1 0-16zM12 8v4l3 2',
  cross: 'M6 6l12 12M18 6L6 18',
  down: 'M12 5v14M6 13l6 6 6-6',
  file: 'M14 3H7a1 1 0 0 0-1 1v16a1 1 0 0 0 1 1h10a1 1 0 0 0 1-1V7zM14 3v4h4',
  hangUp: 'M3 14v-2c5-5 13-5 18 0v2l-4 1-1-3a12 12 0 0 0-8 0l-1 3z',
  mic: 'M12 3a3 3 0 0 1 3 3v5a3 3 0 0 1-6 0V6a3 3 0 0 1 3-3zM6 11a6 6 0 0 0 12 0M12 17v4',
  micOff: 'M9 9v2a3 3 0 0 0 5 2.200M15 11V6a3 3 0 0 0-5.800-1M6 11a6 6 0 0 0 9.500 4.900M18 11q0 1-.3 2M12 17v4M3 3l18 18',
  pen: 'M4 20l1-5L16 4l4 4L9 19zM14 6l4 4',
  phone: 'M5 4h4l2 5-2.500 1.500a11 11 0 0 0 5 5L15 13l5 2v4a1 1 0 0 1-1 1A15 15 0 0 1 4 5a1 1 0 0 1 1-1',
  send: 'M4 12l16-8-6 16-3-6z',
  smile: 'M12 3a9 9 0 1 1 0 18a9 9 0 0 1 0-18zM8.500 14a4 4 0 0 0 7 0M9 9.500v.5M15 9.500v.5',
  trash: 'M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5',
};

export interface IconProps {
  name: keyof typeof PATHS;
  size?: number;
}

export function Icon({ name, size = 20 }: IconProps): ReactNode {
  return (
    <svg
      viewBox="0 0 24 24"
      width={size}
      height={size}
      fill="none"
      stroke="currentColor"
      strokeWidth="2"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
